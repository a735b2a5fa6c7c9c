"""psql: every backslash command that asks the server, on the same objects here and at PostgreSQL.

What Tidemill answers is kept in psql/answers.txt, with the difference from PostgreSQL's answer and its reason where
there is one. `--update` writes the file anew (reasons stay; a new difference gets the reason "?", which fails).
"""
import difflib
import os
import re
import subprocess
import sys
from urllib.parse import urlparse

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWERS = os.path.join(HERE, "psql", "answers.txt")
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
    with open(os.path.join(HERE, "psql", "commands.txt")) as file:
        commands = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    kept, reasons, command = {}, {}, None
    if os.path.exists(ANSWERS):
        with open(ANSWERS) as file:
            for line in file.read().split("\n"):
                if line.startswith("=== "):
                    command = line[4:]
                    kept[command] = []
                elif command and line.startswith("differs: "):
                    reasons[command] = line[9:]
                elif command:
                    kept[command].append(line)
    written, failed = [], 0
    for command in commands:
        sent = command.removeprefix("listing ")
        ours, theirs = psql("tidemill", sent), psql("postgres", sent)
        difference = compared(command, ours, theirs)
        reason = reasons.get(command, "?") if difference else None
        lines = [] if command.startswith("listing ") else [line.rstrip() for line in ours.rstrip("\n").split("\n")]
        if difference:
            lines += ["--- PostgreSQL (-), Tidemill (+)"] + difference
        written += [f"=== {command}"] + ([f"differs: {reason}"] if difference else []) + lines + [""]
        crashed = re.search(r"^(ERROR|FATAL):|server closed", ours, re.M) and not re.search(r"^(ERROR|FATAL):", theirs, re.M)
        if crashed or reason == "?" or "\n".join(lines).strip() != "\n".join(kept.get(command, [])).strip():
            failed += 1
            if "--update" not in sys.argv or crashed or reason == "?":
                print(f"=== {command}" + (" (no reason for the difference)" if reason == "?" else ""))
                print(*list(difflib.unified_diff(kept.get(command, []), lines, "kept", "now", lineterm="", n=0))[:40], sep="\n")
    if "--update" in sys.argv:
        with open(ANSWERS, "w") as file:
            file.write("\n".join(written))
    elif set(kept) != set(commands):
        failed += 1
        print("psql/answers.txt is not of psql/commands.txt", set(kept) ^ set(commands))
    if failed:
        sys.exit(f"{failed} differ")
    print(f"ok, {len(commands)} commands")


main()
