"""Arrow tables as the frames of pandas and Polars, which are there when the user installed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.errors import SetupError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as pandas, with nullable integers and booleans."""
    try:
        import pandas as pd
    except ImportError as error:
        raise SetupError("pandas is not installed.", "pip install pandas") from error
    kinds = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get, date_as_object=False)
    return frame


def to_polars(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as Polars."""
    try:
        import polars as pl
    except ImportError as error:
        raise SetupError("Polars is not installed.", "pip install polars") from error
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found
