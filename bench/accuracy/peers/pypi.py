"""A package of PyPI as a peer: `pypi.py NAME IN OUT` writes timestamp,anomaly,score for each series of a folder.

Each divides its own measure of surprise by its operating point, so that a score of 1 is where it calls. What is fitted
is fitted to what lies before: at the end of the first week, and every week from then on, to the last 28 days at most.
"""
import gzip
import logging
import os
import re
import sys
import warnings

import numpy as np

DAY = 86_400
WEEK = 7 * DAY
MEMORY_DAYS = 28
COARSE = 900  # Seconds of the means that seasonal models are fitted to: a minute's season has 1,440 parameters.
SIGMAS = 3
SCORE_MAX = 100.0


def read(path):
    """Times in unix seconds and values (nan where there is none); labels are never looked at."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt") as file:
        header = file.readline().strip().split(",")
        at, of = header.index("timestamp"), header.index("value")
        rows = [line.rstrip("\n").split(",") for line in file if line.strip()]
    number = lambda cell: float(cell) if cell.strip() else float("nan")
    return np.array([int(float(row[at])) for row in rows]), np.array([number(row[of]) for row in rows])


def weeks(times):
    """(begin of what is learnt from, begin and end of the week that is judged), as indices of rows."""
    start = times[0] + WEEK
    while start <= times[-1]:
        cut = np.searchsorted(times, [start - MEMORY_DAYS * DAY, start, start + WEEK])
        if cut[2] > cut[1] and cut[1] - cut[0] >= 48:
            yield tuple(cut)
        start += WEEK


def step_of(times):
    return int(np.median(np.diff(times)))


def coarse(times, values, step):
    """Means of 15 minutes, or the values themselves where they are further apart; gaps are nan."""
    width = max(COARSE, step)
    slot = (times - times[0]) // width
    known = ~np.isnan(values)
    sums = np.bincount(slot[known], values[known], slot[-1] + 1)
    counts = np.bincount(slot[known], minlength=slot[-1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return times[0] + width * np.arange(slot[-1] + 1), sums / counts, width


def in_sigmas(errors, usual):
    """Errors over three deviations of what was usual."""
    deviation = np.nanstd(usual)
    return np.abs(errors) / (SIGMAS * deviation if deviation > 0 else 1e-9)


def prophet(times, values):
    import pandas as pd
    from prophet import Prophet

    date = lambda seconds: pd.to_datetime(seconds, unit="s")
    step = step_of(times)
    scores = np.zeros(len(times))
    for a, b, c in weeks(times):
        slots, means, _ = coarse(times[a:b], values[a:b], step)
        model = Prophet(uncertainty_samples=0).fit(pd.DataFrame({"ds": date(slots), "y": means}))
        expected = model.predict(pd.DataFrame({"ds": date(times[a:c])}))["yhat"].to_numpy()
        errors = values[a:c] - expected
        scores[b:c] = in_sigmas(errors[b - a :], errors[: b - a])
    return scores


def statsmodels(times, values):
    import pandas as pd
    from statsmodels.tsa.holtwinters import SimpleExpSmoothing
    from statsmodels.tsa.seasonal import STL

    step = step_of(times)
    scores = np.zeros(len(times))
    for a, b, c in weeks(times):
        slots, means, width = coarse(times[a:b], values[a:b], step)
        period = DAY // width
        if len(means) < 2 * period + 1:
            continue
        whole = pd.Series(means).interpolate(limit_direction="both").to_numpy()
        season = STL(whole, period=period).fit().seasonal[-period:]
        # The last season goes on; between the middles of its slots it is a straight line.
        begin = slots[-1] + width - DAY
        phase = ((times[a:c] - begin) % DAY) / width - 0.5 * (width > step)
        shape = np.interp(phase, np.arange(-1, period + 1), np.concatenate([season[-1:], season, season[:1]]))
        left = pd.Series(values[a:c] - shape).ffill().fillna(0).to_numpy()
        # One week teaches how fast the level moves; a fitted value is the forecast of one step ahead.
        learnt = SimpleExpSmoothing(left[max(0, b - a - WEEK // step) : b - a], initialization_method="estimated").fit()
        speed = float(learnt.params["smoothing_level"])
        walk = SimpleExpSmoothing(left, initialization_method="known", initial_level=left[0])
        errors = left - walk.fit(smoothing_level=speed, optimized=False).fittedvalues
        scores[b:c] = in_sigmas(errors[b - a :], errors[: b - a])
    return scores


def residuals(times, values):
    """Differences to the last value, the ten before, yesterday and the seven days' mean at this time; gaps are 0."""
    step = step_of(times)
    cell = (times - times[0]) // step
    reach = 7 * DAY // step
    grid = np.full(cell[-1] + 1 + reach, np.nan)
    grid[cell + reach] = values
    last = np.where(np.isnan(grid), 0, np.arange(len(grid)))
    known = grid[np.maximum.accumulate(last)]
    sums = np.concatenate([[0], np.cumsum(np.nan_to_num(known))])
    here = cell + reach
    ten = (sums[here] - sums[np.maximum(0, here - 10)]) / 10
    past = np.stack([grid[here - day * DAY // step] for day in range(1, 8)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A mean of no day is nan, which is what is wanted.
        week = np.nanmean(past, axis=0)
    expected = [known[here - 1], ten, past[0], week]
    return np.nan_to_num(np.stack([values - one for one in expected], axis=1))


def pyod(times, values):
    from pyod.models.iforest import IForest

    features = residuals(times, values)
    scores = np.zeros(len(times))
    for a, b, c in weeks(times):
        forest = IForest(contamination=0.001, random_state=1).fit(features[a:b])
        least = np.median(forest.decision_scores_)
        # From the usual (0) to where it calls (1).
        span = max(1e-9, forest.threshold_ - least)
        scores[b:c] = np.maximum(0, (forest.decision_function(features[b:c]) - least) / span)
    return scores


def river(times, values):
    from river.anomaly import HalfSpaceTrees
    from river.stats import Quantile

    features = residuals(times, values)
    week = np.searchsorted(times, times[0] + WEEK)
    # Trees want values from 0 to 1: so many deviations of the first week either side.
    usual = features[:week].std(axis=0)
    scaled = np.clip(0.5 + features / (12 * np.where(usual > 0, usual, 1)), 0, 1)
    trees, quantile = HalfSpaceTrees(seed=1), Quantile(0.999)
    scores = np.zeros(len(times))
    for row, point in enumerate(scaled.tolist()):
        x = dict(enumerate(point))
        score = trees.score_one(x)
        most = quantile.get()
        if row >= week and most:
            # Scores end at 1, where nothing could pass a quantile that has come there.
            scores[row] = score / min(most, 1 - 1e-6)
        trees.learn_one(x)
        quantile.update(score)
    return scores


PEERS = {"prophet": prophet, "statsmodels": statsmodels, "pyod": pyod, "river": river}


def main():
    name, source, target = sys.argv[1:4]
    logging.disable(logging.CRITICAL)  # Prophet's solver tells of every fit.
    warnings.simplefilter("ignore")
    for file in sorted(os.listdir(source)):
        series = re.fullmatch(r"(.+)\.csv(\.gz)?", file)
        if series is None or series[1] in ("index", "events"):
            continue
        times, values = read(os.path.join(source, file))
        scores = np.clip(np.nan_to_num(PEERS[name](times, values), nan=0.0), 0, SCORE_MAX)
        with open(os.path.join(target, series[1] + ".csv"), "w") as out:
            out.write("timestamp,anomaly,score\n")
            out.writelines(f"{t},{int(s >= 1)},{s:.6g}\n" for t, s in zip(times.tolist(), scores.tolist()))


if __name__ == "__main__":
    main()
