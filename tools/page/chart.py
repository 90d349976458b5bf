"""The chart's options, for ECharts."""

from .series import WINDOW_MS, Series

MQTT, HTTPS, SETPOINT, RELAY = "#2f7ed8", "#e8890c", "#8a8f98", "rgba(232,80,60,.16)"


def options(series: Series, now_ms: int, outside_c: float) -> dict:
    """Everything that is drawn, without animation."""
    line = {"type": "line", "showSymbol": False, "animation": False}
    dots = {"type": "scatter", "symbolSize": 6, "animation": False}
    since = now_ms - WINDOW_MS
    return {
        "animation": False,
        "grid": {"left": 44, "right": 14, "top": 40, "bottom": 28},
        "legend": {"top": 4, "type": "scroll", "textStyle": {"color": "#808790"}, "itemWidth": 14},
        "tooltip": {"trigger": "item"},
        "xAxis": {
            "type": "time",
            "min": since,
            "max": now_ms,
            "splitNumber": 3,
            "axisLabel": {"hideOverlap": True, "color": "#808790"},
        },
        "yAxis": [
            {
                "type": "value",
                "scale": True,
                "axisLabel": {"formatter": "{value} °", "color": "#808790"},
                "splitLine": {"lineStyle": {"color": "rgba(128,135,144,.2)"}},
            },
            {"type": "value", "min": 0, "max": 1, "show": False},
        ],
        "series": [
            line
            | {
                "name": "relay on",
                "yAxisIndex": 1,
                "step": "end",
                "lineStyle": {"width": 0},
                "areaStyle": {"color": RELAY, "opacity": 1},
                "itemStyle": {"color": "#e8503c"},
                "data": series.line("relay", now_ms),
            },
            line
            | {
                "name": "outside",
                "lineStyle": {"type": "dotted", "color": "#5aa469"},
                "itemStyle": {"color": "#5aa469"},
                "data": [[since, outside_c], [now_ms, outside_c]],
            },
            line
            | {
                "name": "set point",
                "step": "end",
                "lineStyle": {"type": "dashed", "color": SETPOINT},
                "itemStyle": {"color": SETPOINT},
                "data": series.line("setpoint", now_ms),
            },
            dots
            | {
                "name": "by MQTT",
                "itemStyle": {"color": MQTT},
                "data": series.line("mqtt", now_ms),
            },
            dots
            | {
                "name": "by HTTPS",
                "itemStyle": {"color": HTTPS},
                "data": series.line("https", now_ms),
            },
        ],
    }
