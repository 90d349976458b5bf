"""The chart's options, for ECharts: the room above, the outside as a strip below."""

import math

from .series import Series

MQTT, HTTPS, SETPOINT, OUTSIDE = "#2f7ed8", "#e8890c", "#8a8f98", "#4f9d69"
HEAT = "rgba(226,80,60,.17)"
_INK, _EDGE = "#808790", "rgba(128,135,144,.18)"
LEGEND = (
    ("by MQTT", MQTT),
    ("by HTTPS", HTTPS),
    ("set point", SETPOINT),
    ("relay on", "#e2503c"),
    ("outside", OUTSIDE),
)
_LEAST_K = 3  # what the axis spans


def options(series: Series, now_ms: int, outside_c: float) -> dict:
    """Everything that is drawn, without animation."""
    since = series.since(now_ms)
    line = {"type": "line", "showSymbol": False, "animation": False, "silent": True}
    dots = {"type": "scatter", "symbolSize": 7, "animation": False}
    mqtt, https = series.line("mqtt", now_ms), series.line("https", now_ms)
    room, setpoint = series.gaps(now_ms), series.line("setpoint", now_ms)
    time = {"type": "time", "min": since, "max": now_ms, "splitNumber": 4}
    return {
        "animation": False,
        "grid": [
            {"left": 46, "right": 14, "top": 10, "bottom": 84},
            {"left": 46, "right": 14, "height": 30, "bottom": 30},
        ],
        "tooltip": {"trigger": "item"},
        "xAxis": [
            time | {"gridIndex": 0, "show": False},
            time
            | {
                "gridIndex": 1,
                "axisLine": {"lineStyle": {"color": _EDGE}},
                "axisTick": {"show": False},
                "axisLabel": {"hideOverlap": True, "color": _INK, "formatter": "{HH}:{mm}:{ss}"},
            },
        ],
        "yAxis": [
            _axis(0, *_span([v for _, v in room + setpoint if v is not None])),
            {"type": "value", "gridIndex": 0, "min": 0, "max": 1, "show": False},
            _axis(1, math.floor(outside_c) - 5, math.floor(outside_c) + 5)
            | {"interval": 5, "splitLine": {"show": False}},
        ],
        "series": [
            line
            | {
                "name": "relay on",
                "yAxisIndex": 1,
                "step": "end",
                "lineStyle": {"width": 0},
                "areaStyle": {"color": HEAT, "opacity": 1},
                "data": series.line("relay", now_ms),
            },
            line
            | {
                "name": "set point",
                "step": "end",
                "lineStyle": {"type": "dashed", "color": SETPOINT, "width": 1.5},
                "data": setpoint,
            },
            line | {"name": "room", "lineStyle": {"color": SETPOINT, "width": 1}, "data": room},
            dots | {"name": "MQTT", "itemStyle": {"color": MQTT}, "data": mqtt},
            dots
            | {
                "name": "HTTPS",
                "itemStyle": {"color": HTTPS},
                "data": https,
            },
            line
            | {
                "name": "outside",
                "xAxisIndex": 1,
                "yAxisIndex": 2,
                "lineStyle": {"color": OUTSIDE, "width": 1.5},
                "data": [[since, outside_c], [now_ms, outside_c]],
            },
        ],
    }


def _axis(grid: int, least: float, most: float) -> dict:
    return {
        "type": "value",
        "gridIndex": grid,
        "min": least,
        "max": most,
        "axisLabel": {"formatter": "{value} °", "color": _INK},
        "splitLine": {"lineStyle": {"color": _EDGE}},
    }


def _span(values: list) -> tuple[int, int]:
    """Whole degrees with room above and below; at least 3 K."""
    least = math.floor(min(values, default=20) - 0.4)
    most = math.ceil(max(values, default=21) + 0.4)
    return least, max(most, least + _LEAST_K)
