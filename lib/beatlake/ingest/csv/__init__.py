r"""An exact reader of CSV files that are too large for one task, quoted line breaks included.

The dialect is RFC 4180 as PostgreSQL's `COPY ... CSV` writes it: comma, doubled quotes, LF or
CRLF, line breaks inside quotes, UTF-8, an empty unquoted field for NULL and `""` for an empty
string. No other text stands for NULL: `null`, `NaN` and `NA` are names like any other.

Find, survey, scan: `find_parts` looks for the files, `survey` finds in one pass where records
begin, and `read_split` or, in Spark, `scan` gives one row for each physical record, whatever the
splits. Offsets and lengths add up: the records of a part lie end to end from `data_start` to
`size`.

Where a record begins and ends
------------------------------
A text line is the bytes up to and with an LF, or up to the end of the part. The first line is the
header. After it:

* A line with an even number of quotes is a record of its own, unless it lies inside a joined
  record as below.
* Lines with an odd number of quotes are taken in order. Such a line and the next such line, with
  all that lies between, are joined into one record if the record spans at most `max_record_lines`
  lines and `max_record_bytes` bytes (line ends counted), is strictly quoted and has exactly the
  header's number of columns. Otherwise the first of the two is a record alone
  (`unbalanced_quote`), and the second is the next to look for a partner.

A record's content is the record without its line end, LF or CRLF. Inside quotes line ends are
data and kept byte for byte.

Strictly quoted: with the quotes of a record numbered from 0, those of even number stand at the
record's start or after a comma or a quote, those of odd number stand at the content's end or
before a comma or a quote, and their number is even. Commas count as separators outside quotes
only, that is after an even number of quotes.

What sets a record aside
------------------------
A record that breaks a rule is a row of nulls with the rule's name and the raw text. The rules, in
order of precedence (the first that applies is named): see `RULES`. `torn_record` stands for every
other rule but `repeated_header` where the part's last record has no line end; where that record is
sound it is read, and the part is noted `no_final_newline`. A byte order mark at the start of a part
is skipped and noted; U+FEFF anywhere else is data. A blank line is a record even if the contract
has one column only, for which PostgreSQL would write NULL as a blank line.

Exactness ends where a file is malformed in a way that reads as well-formed: a quote forgotten in
one record and another forgotten nearby can bound a text that is a sound record by the rules above.
"""

from beatlake.ingest.csv.errors import CsvInputError
from beatlake.ingest.csv.reader import batch_schema, read_split
from beatlake.ingest.csv.rules import RULES, CsvLimits, Note
from beatlake.ingest.csv.scan import SPLIT_BYTES, scan
from beatlake.ingest.csv.source import Part, find_parts
from beatlake.ingest.csv.survey import FileSurvey, PartSurvey, Split, splits, survey

__all__ = [
    "RULES",
    "SPLIT_BYTES",
    "CsvInputError",
    "CsvLimits",
    "FileSurvey",
    "Note",
    "Part",
    "PartSurvey",
    "Split",
    "batch_schema",
    "find_parts",
    "read_split",
    "scan",
    "splits",
    "survey",
]
