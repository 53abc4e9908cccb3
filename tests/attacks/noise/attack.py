"""Text that a terminal, a browser or a reader could be fooled by."""

import sys

from kit import OUTPUT, main, table

EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[8mhidden\x9b31m\r\b\b\b",
    "user\u202egnp.exe\u2066\u2069\u200b\ufeff\U000e0041",
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "=cmd|' /C calc'!A0",
    "[link](javascript:alert(1)) ::error file=x::y ::set-output name=x::y",
    "[bold red]markup[/bold red] {{7*7}} ${jndi:ldap://x} %s%n",
    "line\u2028separator\u2029here\x85",
)


def log():
    for text in EVIL:
        print(text)
        print(text, file=sys.stderr)
    sys.stdout.buffer.write(b"\xff\xfe\x80\n")
    raise SystemExit(1)


def cells(column):
    lines = table().splitlines()
    for number, text in enumerate(EVIL, start=1):
        fields = lines[number].split(",")
        fields[column] = text.replace("\r", "").replace(",", "").replace("\n", "")
        lines[number] = ",".join(fields)
    with open(OUTPUT, "w") as target:
        target.write("\n".join(lines))


def ids():
    cells(0)


def classes():
    cells(1)


def scores():
    cells(2)


def header():
    lines = table().splitlines()
    with open(OUTPUT, "w") as target:
        target.write("\n".join([",".join(EVIL).replace("\r", ""), *lines[1:]]))


def columns():
    header, *lines = table().splitlines()
    with open(OUTPUT, "w") as target:
        target.write("\n".join([header + ',"' + EVIL[0] + EVIL[1] + '"', *(line + "," + EVIL[2] for line in lines)]))


main(globals())
