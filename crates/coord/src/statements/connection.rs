//! Connections: CREATE, ALTER and VALIDATE.

use std::sync::Arc;

use tidemill_catalog::{
    Catalog, CatalogChange, Connection, Definition, Item, SshKey, SshTunnelOptions,
};
use tidemill_ingest::{postgres, ssh};
use tidemill_repr::{ObjectId, SqlError};
use tidemill_sql::plan::{AlterConnectionPlan, NewItem};

use super::Execution;
use super::ddl::{commit, create, item_of};
use super::source::check_unchanged;
use crate::response::Response;
use crate::session::Session;
use crate::sources::{open_connection, ssh_tunnel};

/// What is written behind the public keys of tunnels.
const KEY_COMMENT: &str = "materialize";

/// Executes CREATE CONNECTION: connects first, unless told not to.
pub(crate) async fn create_connection(
    session: &mut Session,
    execution: &Execution<'_>,
    item: &NewItem,
    validate: bool,
) -> Result<Response, SqlError> {
    let mut item = item.clone();
    if let Definition::Connection(connection) = &mut item.definition {
        if let Connection::SshTunnel(tunnel) = connection {
            check_host_key(tunnel)?;
            tunnel.keys = vec![new_key(session)?, new_key(session)?];
        }
        if validate {
            let catalog = session.catalog(&execution.snapshot);
            try_connection(session, &catalog, (&item.name.item, connection)).await?;
            check_unchanged(session, execution)?;
        }
    }
    create(session, execution, &item, "CREATE CONNECTION").await
}

fn check_host_key(tunnel: &SshTunnelOptions) -> Result<(), SqlError> {
    tunnel.host_key.as_deref().map_or(Ok(()), ssh::check_host_key)
}

fn new_key(session: &Session) -> Result<SshKey, SqlError> {
    let pair = ssh::generate_keys(KEY_COMMENT)?;
    let ciphertext = session.shared.secrets.encrypt(pair.private.as_bytes());
    let ciphertext = ciphertext.map_err(|error| crate::ledger_error(&error))?;
    Ok(SshKey { public: pair.public, ciphertext })
}

/// Connects, to see whether it can be done.
async fn try_connection(
    session: &Session,
    catalog: &Catalog,
    (name, connection): (&str, &Connection),
) -> Result<(), SqlError> {
    match connection {
        Connection::Postgres(options) => {
            let connection = open_connection(&session.shared, catalog, options)?;
            postgres::validate(&connection).await
        }
        Connection::SshTunnel(options) => {
            let tunnel = ssh_tunnel(&session.shared, name, options)?;
            tunnel.validate().await
        }
        Connection::AwsPrivatelink(_) => Err(crate::sources::no_privatelink(name)),
    }
}

/// Executes VALIDATE CONNECTION.
pub(crate) async fn validate(
    session: &mut Session,
    execution: &Execution<'_>,
    id: ObjectId,
) -> Result<Response, SqlError> {
    let catalog: Arc<Catalog> = session.catalog(&execution.snapshot);
    let item = item_of(&catalog, id)?;
    let Definition::Connection(connection) = &item.definition else {
        return Err(SqlError::internal("a connection that is none"));
    };
    try_connection(session, &catalog, (&item.name.item, connection)).await?;
    Ok(Response::Tag("VALIDATE CONNECTION".to_owned()))
}

/// Executes ALTER CONNECTION; the sources that use it follow.
pub(crate) async fn alter(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &AlterConnectionPlan,
) -> Result<Response, SqlError> {
    if let Definition::Connection(Connection::SshTunnel(tunnel)) = &plan.item.definition {
        check_host_key(tunnel)?;
    }
    if plan.validate
        && let Definition::Connection(connection) = &plan.item.definition
    {
        let catalog = session.catalog(&execution.snapshot);
        try_connection(session, &catalog, (&plan.item.name.item, connection)).await?;
        check_unchanged(session, execution)?;
    }
    let change = CatalogChange::PutItem(Box::new(plan.item.clone()));
    commit(session, execution, vec![change]).await?;
    Ok(Response::Tag("ALTER CONNECTION".to_owned()))
}

/// Executes ALTER CONNECTION .. ROTATE KEYS: the second pair becomes the first, so that a server
/// that knows both goes on to let us in.
pub(crate) async fn rotate_keys(
    session: &mut Session,
    execution: &Execution<'_>,
    id: ObjectId,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let mut item = Item::clone(item_of(&catalog, id)?.as_ref());
    let Definition::Connection(Connection::SshTunnel(tunnel)) = &mut item.definition else {
        return Err(SqlError::internal("an SSH tunnel that is none"));
    };
    if !tunnel.keys.is_empty() {
        tunnel.keys.remove(0);
    }
    tunnel.keys.push(new_key(session)?);
    commit(session, execution, vec![CatalogChange::PutItem(Box::new(item))]).await?;
    Ok(Response::Tag("ALTER CONNECTION".to_owned()))
}
