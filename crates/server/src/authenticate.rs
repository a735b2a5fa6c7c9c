//! Who a client is: trusted, or asked for the role's password by SCRAM-SHA-256.

use tidemill_coord::{Coordinator, SessionOptions};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::{Client, Failure, Outcome};
use crate::connection::Context;
use crate::scram::{Exchange, MECHANISM, Refused, is_password};
use crate::startup::PATIENCE;

/// How clients show who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// They are believed.
    #[default]
    Trust,
    /// By the password of the role.
    Password,
}

/// Lets a client in, or says why not.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    context: &Context,
    options: &SessionOptions,
) -> Outcome<()> {
    let refused = |message: &str| {
        Failure::Fatal(SqlError::new(SqlState::INVALID_AUTHORIZATION, message.to_owned()))
    };
    if context.tls_required && !context.encrypted {
        return Err(match refused("this server takes encrypted connections only") {
            Failure::Fatal(error) => {
                Failure::Fatal(error.with_hint("Connect with sslmode=require."))
            }
            other => other,
        });
    }
    let coordinator = &context.coordinator;
    if context.authentication == Authentication::Password && !context.internal {
        let exchange = password(client, context, &options.user);
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(Failure::Gone))?;
    }
    let address = context.address.map(|address| address.ip()).filter(|_| !context.internal);
    coordinator.login(&options.user, address).map_err(Failure::Fatal)?;
    if !coordinator.has_database(&options.database) {
        let message = format!("database \"{}\" does not exist", options.database);
        return Err(Failure::Fatal(SqlError::new(SqlState::INVALID_CATALOG_NAME, message)));
    }
    if coordinator.is_full(&options.user) {
        return Err(Failure::Fatal(SqlError::new(
            SqlState::TOO_MANY_CONNECTIONS,
            "sorry, too many clients already",
        )));
    }
    Ok(())
}

/// Whether a password that came in plain text is that of a role.
///
/// # Errors
/// It is not (`28P01`).
pub(crate) fn check_password(
    coordinator: &Coordinator,
    user: &str,
    password: &str,
    secret: &[u8],
) -> Result<(), SqlError> {
    let verifier = coordinator.verifier(user);
    let verifier = verifier.as_ref().map(|verifier| verifier.0.as_str());
    if is_password(user, verifier, password, secret) { Ok(()) } else { Err(wrong_password(user)) }
}

fn wrong_password(user: &str) -> SqlError {
    let message = format!("password authentication failed for user \"{user}\"");
    SqlError::new(SqlState::INVALID_PASSWORD, message)
}

/// Asks for the password of a role. Who has none is told the same as who does not know it.
async fn password<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    context: &Context,
    user: &str,
) -> Outcome<()> {
    let malformed =
        || Failure::Fatal(SqlError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message"));
    let wrong = |refused| match refused {
        Refused::Malformed => malformed(),
        Refused::Wrong => Failure::Fatal(wrong_password(user)),
    };
    let verifier = context.coordinator.verifier(user);
    let verifier = verifier.as_ref().map(|verifier| verifier.0.as_str());
    let mut exchange = Exchange::new(user, verifier, &*context.secret);
    backend::authentication_sasl(&mut client.output, MECHANISM);
    client.flush().await?;
    let body = client.password_message().await?;
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
    let (mechanism, rest) = body.split_at(end);
    // The length of the message, which is all of the rest.
    let message = rest.get(5..).ok_or_else(malformed)?;
    if mechanism != MECHANISM.as_bytes() {
        return Err(malformed());
    }
    let answer = exchange.first(message).map_err(wrong)?;
    backend::authentication_step(&mut client.output, 11, &answer);
    client.flush().await?;
    let body = client.password_message().await?;
    let answer = exchange.last(&body).map_err(wrong)?;
    backend::authentication_step(&mut client.output, 12, &answer);
    Ok(())
}
