"""Plain files that cost the evaluator time or memory, or that it must not repeat as they are."""

from kit import MIB, OUTPUT, main, rows, table

HEADER = "sequence_id,prediction,score\n"


def write(text, encoding="utf-8"):
    with open(OUTPUT, "w", encoding=encoding, newline="") as target:
        target.write(text)


def backtracking_number():
    write(with_cell("1" * 20_000 + "x"))


def with_cell(cell):
    first, *rest = table().splitlines(keepends=True)[1:]
    return HEADER + first.rsplit(",", 1)[0] + f",{cell}\n" + "".join(rest)


def long_exponent():
    write(with_cell("1e" + "9" * 100_000))


def long_integer():
    write(with_cell("9" * 100_000))


def carriage_returns():
    write(table() + "a,0,0\r" * (4 * MIB // 6))


def empty_rows_of_carriage_returns():
    write(table() + "\r" * (60 * MIB))


def wide_header():
    write("ab," * (60 * MIB // 3) + "\n")


def wide_row():
    write(table() + "ab," * (60 * MIB // 3) + "\n")


def one_wide_character():
    write("\U0001f600," + "a" * (60 * MIB))


def one_huge_field():
    write(HEADER + '"' + "a" * (60 * MIB))


def open_quotes():
    write(HEADER + '"a""' * 200_000)


def no_quotes_many_commas():
    write(HEADER + ("," * 100_000 + "\n") * 200)


def nul():
    write(table() + "\0")


def garbage():
    with open(OUTPUT, "wb") as target:
        target.write(bytes(range(1, 256)) * 2000)


def swapped_ids():
    ids = [row["sequence_id"] for row in rows()]
    write(HEADER + "".join(f"{i},1,0.5\n" for i in [*ids[:-1], ids[0]]))


main(globals())
