"""Version checksum files of Delta tables, as the Delta protocol defines them.

Spark takes from such a file what a table is and holds. Without one it runs jobs over the table's
log before it commits, which is most of the work for a small table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from deltalake import DeltaTable


class _File(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...


def write(
    path: Path,
    version: DeltaTable,
    files: Sequence[_File],
    added: Sequence[Mapping[str, Any]],
) -> None:
    """Write the checksum file of a table's version, by rename; nothing for one with features.

    Args:
        path: the file, beside the version's commit.
        version: the table at that version.
        files: all its data files.
        added: the files that the version's own commit added, as the log has them.
    """
    metadata, protocol = version.metadata(), version.protocol()
    if protocol.writer_features:
        # There would be more to say of it; tables that beatlake made have none.
        return
    content: dict[str, Any] = {
        "tableSizeBytes": sum(file.size for file in files),
        "numFiles": len(files),
        "numMetadata": 1,
        "numProtocol": 1,
        "metadata": {
            "id": str(metadata.id),
            "name": metadata.name,
            "description": metadata.description,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": version.schema().to_json(),
            "partitionColumns": metadata.partition_columns,
            "configuration": metadata.configuration,
            "createdTime": metadata.created_time,
        },
        "protocol": {
            "minReaderVersion": protocol.min_reader_version,
            "minWriterVersion": protocol.min_writer_version,
        },
        # A feature too.
        "domainMetadata": [],
    }
    if {action["path"] for action in added} == {file.path for file in files}:
        # One commit wrote them all, which is how tables are written here.
        content["allFiles"] = [{**action, "dataChange": False} for action in added]
    temporary = path.with_suffix(".crc.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    os.replace(temporary, path)
