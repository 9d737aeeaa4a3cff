"""OpenLineage: source and target directories as datasets, with what was written."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit


def dataset_name(url: str) -> tuple[str, str]:
    """Namespace and name by OpenLineage's naming: ("sftp://host:port", "/directory"), ("file", "/directory")."""
    parts = urlsplit(url)
    path = unquote(parts.path) or "/"
    if not parts.netloc:
        return parts.scheme or "file", path
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}", path


def lineage(source_url: str, target_url: str, report: dict[str, Any] | None) -> Any:
    """An OperatorLineage; None without the OpenLineage provider. ``report``: the task's, once it has ended."""
    try:
        from airflow.providers.common.compat.openlineage.facet import (
            InputDataset,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    facets: dict[str, Any] = {}
    if report is not None:
        facets["outputStatistics"] = OutputStatisticsOutputDatasetFacet(
            size=report["bytes_copied"], fileCount=report["files_copied"]
        )
    source_namespace, source_name = dataset_name(source_url)
    target_namespace, target_name = dataset_name(target_url)
    return OperatorLineage(
        inputs=[InputDataset(source_namespace, source_name)],
        outputs=[OutputDataset(target_namespace, target_name, outputFacets=facets)],
    )
