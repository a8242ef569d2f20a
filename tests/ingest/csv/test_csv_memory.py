"""Memory depends on the size of a block, not of the file, its records, or its marks."""

import pytest
from csv_tools import NAME, in_another_process

# Each makes a file of which one naive array, or one record kept whole, would take far more.
MEASURE = """
import resource, sys
from beatlake.ingest.csv import CsvLimits, find_parts, read_split, splits, survey

root, name = sys.argv[1:]
limits = CsvLimits()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def run(name):
    surveyed = survey(find_parts(root, name), ["a", "b"], limits, 1)
    (part,) = surveyed.parts
    return surveyed.records, sum(
        batch.num_rows
        for split in splits(surveyed, 1 << 26)
        for batch in read_split(part, split, ["a", "b"], limits)
    )

run("small")
before = peak()
records, rows = run(name)
assert records == rows, (records, rows)
print(rows, peak() - before)
"""


@pytest.mark.parametrize(
    ("case", "rows"),
    [("one line", 1), ("blank lines", 3_000_000), ("quotes", 3_000_000), ("commas", 50)],
)
def test_memory_is_bounded(tmp_path, case, rows):
    (tmp_path / "small.csv").write_bytes(b"a,b\n" + b"1,2\n" * 10_000)
    path = tmp_path / f"{NAME}.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n")
        if case == "one line":
            # A hole in the file: zero bytes that take no room on the disk.
            file.truncate(200 << 20)
        elif case == "blank lines":
            file.write(b"\n" * rows)
        elif case == "quotes":
            file.write(b'"\n' * rows)
        elif case == "commas":
            file.write((b"," * 400_000 + b"\n") * rows)

    counted, grown = in_another_process(MEASURE, str(tmp_path), NAME)

    assert int(counted) == rows
    assert float(grown) < 250, "MiB"
