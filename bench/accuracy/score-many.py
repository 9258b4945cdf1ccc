"""The scorer, asked many times: `score-many.py SCORER`; a line of stdin holds the arguments of one call, as JSON.

What it reads is kept, so that the labels are read once for all calls; a scorer that reads otherwise is only slower.
"""
import functools
import importlib.util
import json
import sys

path = sys.argv[1]
spec = importlib.util.spec_from_file_location("score", path)
score = importlib.util.module_from_spec(spec)
spec.loader.exec_module(score)
if hasattr(score, "rd"):
    score.rd = functools.cache(score.rd)
for line in sys.stdin:
    sys.argv = [path, *json.loads(line)]
    score.main()
