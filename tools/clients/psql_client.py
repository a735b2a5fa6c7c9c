"""psql: every backslash command that asks the server, on the same objects here and at PostgreSQL.

No command may fail here that PostgreSQL answers. psql/equal.txt names those whose answers are PostgreSQL's to the
letter: they must stay so. `--update` writes it anew, and prints how the others differ.
"""
import difflib
import os
import re
import subprocess
import sys
from urllib.parse import urlparse

HERE = os.path.dirname(os.path.abspath(__file__))
EQUAL = os.path.join(HERE, "psql", "equal.txt")
SERVERS = {"tidemill": os.environ["TIDEMILL_DSN"], "postgres": os.environ["REFERENCE_DSN"]}


def psql(server, *commands):
    url = urlparse(SERVERS[server])
    arguments = [a for command in commands for a in ("-c", command)]
    done = subprocess.run(
        ["psql", "-X", "-q", "-h", url.hostname, "-p", str(url.port), "-U", url.username, url.path[1:], "-c", "SET search_path = shop, public", *arguments],
        capture_output=True, text=True, env={**os.environ, "PGCLIENTENCODING": "UTF8"})
    return (done.stdout + done.stderr).replace(str(url.port), "PORT")


def rows(output):
    """An aligned table as its rows, cells without their padding."""
    return [" | ".join(cell.strip() for cell in line.split("|")) for line in output.splitlines() if line.strip()]


def compared(command, ours, theirs):
    """What PostgreSQL says and Tidemill does not, and the other way round."""
    if command.startswith("listing "):
        # All of a server's own objects: what PostgreSQL lists must be listed here, with the same values.
        here = set(rows(ours))
        return [f"-{row}" for row in rows(theirs) if row not in here and not re.fullmatch(r"\(\d+ rows?\)|[-+ |]+", row)]
    lines = difflib.unified_diff([r.rstrip() for r in rows(theirs)], [r.rstrip() for r in rows(ours)], lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def main():
    update = "--update" in sys.argv
    with open(os.path.join(HERE, "psql", "commands.txt")) as file:
        commands = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    with open(EQUAL) as file:
        expected = set(file.read().splitlines())
    equal, failed = [], 0
    for command in commands:
        sent = command.removeprefix("listing ")
        ours, theirs = psql("tidemill", sent), psql("postgres", sent)
        difference = compared(command, ours, theirs)
        failure = re.search(r"^(ERROR|FATAL):|server closed", ours, re.M) and not re.search(r"^(ERROR|FATAL):", theirs, re.M)
        if not difference:
            equal.append(command)
        if failure or (difference and (update or command in expected)):
            failed += bool(failure) or command in expected
            print(f"=== {command}", *difference[:40], sep="\n")
    if update:
        with open(EQUAL, "w") as file:
            file.write("\n".join(equal) + "\n")
    elif failed:
        sys.exit(f"{failed} differ")
    print(f"ok, {len(commands)} commands, {len(equal)} of them as PostgreSQL answers")


main()
