"""Text to typed values: one notation per type, and every record is either kept or set aside."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from beatlake.ingest.records import judge, typed
from beatlake.quality.contract import contracts

#: kind -> (texts that are values, texts that are not)
NOTATIONS = {
    "boolean": (["t", "f"], ["true", "yes", "1", "T", "", " t"]),
    "int": (
        ["0", "-1", "12"],
        ["1.0", "1,5", "0x1F", " 5", "5 ", "5\n", "abc", "99999999999", "+5", "5-", "٥", ""],
    ),
    "double": (
        ["0.906", "2.33e-5", "-11.777", "1e+20"],
        ["1,5", "12f", "12d", "NaN", "Infinity", "0x1p3", "+1.5", ".5", "5.", "5 ", "0.5\n"],
    ),
    "date": (
        ["2021-02-28"],
        "2021-02-30|2021-2-3|2021|0|28.02.2021|2021-02-28 or so|2021-02-28T10:00|+2021-02-28"
        "|12021-02-28|0044-03-15 BC|2021-02-28 |2021-02-28\n| 2021-02-28".split("|"),
    ),
    "timestamp": (
        ["2023-08-22 18:08:48", "2023-08-22 18:08:48.25"],
        "2021-02-30 10:00:00|2023-08-22|18:08:48|2023-08-22 24:00:00|2023-08-22T18:08:48"
        "|2023-08-22 18:08:48Z|2023-08-22 18:08:48+02|2023-08-22 18:08:48 PST"
        "|12023-08-22 18:08:48|T18:08:48.123456789012|2023-08-22 18:08:48\n".split("|"),
    ),
    "string": (["NaN", "null", "", " x "], []),
}


@pytest.mark.parametrize("kind", NOTATIONS)
def test_a_type_has_one_notation(spark: SparkSession, kind: str) -> None:
    values, others = NOTATIONS[kind]
    frame = spark.createDataFrame([(text,) for text in [*values, *others]], "text string")
    found = frame.select("text", typed(F.col("text"), kind).isNotNull().alias("is_value")).collect()
    assert [row["text"] for row in found if row["is_value"]] == values


def test_t_and_f_are_true_and_false(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("t",), ("f",)], "text string")
    found = frame.select(typed(F.col("text"), "boolean").alias("value")).collect()
    assert [row["value"] for row in found] == [True, False]


GOOD = {
    "release_id": "2oCs0DGTsRO98Gh5ZSl2Cx",
    "release_title": "One, two",
    "release_date": "2019",
    "upc": "00602577",
    "popularity": "66",
    "total_tracks": "1",
    "album_type": "single",
    "release_img": None,
    "label_name": "null",
    "updated_on": "2023-08-22 18:08:48",
}
#: What is changed in a good record -> the rules it then breaks.
BROKEN = [
    ({"release_id": None}, ["missing_value"]),
    ({"release_id": "2oCs0DGTsRO98Gh5ZSl2C"}, ["wrong_shape"]),
    ({"release_id": "2oCs0DGTsRO98Gh5ZSl2Cx\n"}, ["wrong_shape"]),
    ({"popularity": "101"}, ["out_of_range"]),
    ({"popularity": "-1", "album_type": "ep"}, ["out_of_range", "not_allowed"]),
    ({"popularity": "abc", "updated_on": None}, ["wrong_type", "missing_value"]),
]


def test_every_record_is_kept_or_set_aside_with_all_its_reasons(spark: SparkSession) -> None:
    contract = contracts()["sp_release"]
    records = [GOOD, *(GOOD | change for change, _ in BROKEN)]
    schema = ", ".join(f"{name} string" for name in contract.columns)
    schema += (
        ", defect string, raw_record string, source_file string, byte_offset bigint,"
        " byte_length int"
    )
    rows = [
        (*(r[name] for name in contract.columns), None, None, "sp_release.csv", i, 1)
        for i, r in enumerate(records)
    ]
    nothing = [None] * len(contract.columns)
    rows.append((*nothing, "blank_line", "", "sp_release.csv", 99, 2))
    judged = judge(spark.createDataFrame(rows, schema), contract)
    kept = judged.bronze().collect()
    assert [row["byte_offset"] for row in kept] == [0]
    assert kept[0]["upc"] == "00602577"
    assert kept[0]["label_name"] == "null"
    assert kept[0]["flags"] == ["year_only_date"]
    aside = {row["byte_offset"]: row for row in judged.quarantine().collect()}
    assert set(aside) == {*range(1, len(records)), 99}
    for offset, (_, rules) in enumerate(BROKEN, start=1):
        assert [reason["rule"] for reason in aside[offset]["reasons"]] == rules
    assert [reason["rule"] for reason in aside[99]["reasons"]] == ["blank_line"]
    assert aside[4]["raw_record"] == (
        '2oCs0DGTsRO98Gh5ZSl2Cx,"One, two",2019,00602577,101,1,single,,null,2023-08-22 18:08:48'
    )
