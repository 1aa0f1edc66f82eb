"""The peers of bench_forecast: statsforecast's AutoETS, and a deviation rule in numpy.

Reads {"series": [{"values", "season", "ahead"}], "rule": {"values", "window", "rounds"}} from standard
input and writes {"name", "forecasts": [{"point", "low", "high"}], "seconds", "rule_seconds"}.
"""

import json
import sys
import time
import warnings

import numpy as np
import statsforecast
from statsforecast.models import AutoETS

warnings.simplefilter("ignore")
asked = json.load(sys.stdin)


def forecast(one):
    model = AutoETS(season_length=max(one["season"], 1))
    y = np.asarray(one["values"], dtype=np.float64)
    out = model.forecast(y=y, h=one["ahead"], level=[90])
    return {"point": out["mean"].tolist(), "low": out["lo-90"].tolist(), "high": out["hi-90"].tolist()}


forecast(asked["series"][0])  # compiled before the clock starts
start = time.perf_counter()
forecasts = [forecast(one) for one in asked["series"]]
seconds = time.perf_counter() - start

rule = asked["rule"]
values = np.asarray(rule["values"], dtype=np.float64)


def deviations():
    windows = np.lib.stride_tricks.sliding_window_view(values[:-1], rule["window"])
    spread = windows.std(axis=1, ddof=1)
    return (values[rule["window"] :] - windows.mean(axis=1)) / np.where(spread > 0, spread, 1.0)


deviations()
start = time.perf_counter()
for _ in range(rule["rounds"]):
    deviations()
rule_seconds = time.perf_counter() - start
json.dump(
    {
        "name": f"statsforecast {statsforecast.__version__} AutoETS",
        "forecasts": forecasts,
        "seconds": seconds,
        "rule_name": f"numpy {np.__version__}",
        "rule_seconds": rule_seconds,
    },
    sys.stdout,
)
