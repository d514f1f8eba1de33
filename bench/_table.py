"""Numbers as text."""

from collections.abc import Sequence
from statistics import median


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, the others to the right."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def median_ratio(ratios: Sequence[float]) -> str:
    """Format the median of some ratios, if there are any."""
    return f"{median(ratios):.2f}" if ratios else "-"


def spread(ratios: Sequence[float]) -> str:
    """Format the extremes and the median of some ratios."""
    return f"{min(ratios):.2f} to {max(ratios):.2f}, median {median(ratios):.2f}"


def size_name(count: int) -> str:
    """Format a number of bytes: ``64 KiB``, ``1000 B``."""
    if count % 1024:
        return f"{count} B"
    return f"{count // 1024} KiB" if count % 1048576 else f"{count // 1048576} MiB"
