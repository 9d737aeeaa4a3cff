"""A bar chart as SVG: a group a case, a bar a tool, each group on its own scale."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH = 860
LABEL_WIDTH = 220
VALUE_WIDTH = 90
BAR_HEIGHT = 18
BAR_STEP = 23
GROUP_HEAD = 34
GROUP_GAP = 16
OURS = "#1f7a5c"
OTHERS = "#9fb3c8"


@dataclass(frozen=True)
class Group:
    title: str
    bars: list[tuple[str, float, bool]]  # label, seconds, whether it is ours

    def height(self) -> int:
        return GROUP_HEAD + BAR_STEP * len(self.bars) + GROUP_GAP


def _bar(label: str, seconds: float, ours: bool, longest: float, y: int) -> str:
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    width = max(1.0, room * seconds / longest)
    weight = ' font-weight="bold"' if ours else ""
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{y + 13}" text-anchor="end"{weight}>{escape(label)}</text>'
        f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{OURS if ours else OTHERS}"/>'
        f'<text x="{LABEL_WIDTH + width + 6:.1f}" y="{y + 13}"{weight}>{seconds:.2f} s</text>'
    )


def bars(groups: list[Group]) -> str:
    """The whole picture; shorter is better."""
    parts = []
    y = 10
    for group in groups:
        parts.append(f'<text x="10" y="{y + 20}" font-size="15" font-weight="bold">{escape(group.title)}</text>')
        longest = max(seconds for _, seconds, _ in group.bars)
        for number, (label, seconds, ours) in enumerate(group.bars):
            parts.append(_bar(label, seconds, ours, longest, y + GROUP_HEAD + BAR_STEP * number))
        y += group.height()
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
        f'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
