"""Three deviations in Python, point by point as values arrive. Prints microseconds a point: of the same minute on seven
days before in plain Python and in numpy, and of all of the seven days in numpy. Argument: points to judge."""

import math
import random
import sys
from time import perf_counter

import numpy as np

DAY = 1440
WEEK = 7 * DAY


def of_minutes(values, slot):
    days = [values[slot - day * DAY] for day in range(1, 8)]
    mean = sum(days) / 7
    deviation = math.sqrt(sum((value - mean) ** 2 for value in days) / 7)
    return abs(values[slot] - mean) > 3 * deviation


def of_slice(values, slot, stride):
    week = values[slot - WEEK : slot : stride]
    return abs(values[slot] - week.mean()) > 3 * week.std()


def of_minutes_numpy(values, slot):
    return of_slice(values, slot, DAY)


def of_week(values, slot):
    return of_slice(values, slot, 1)


points = int(sys.argv[1])
chance = random.Random(1)
values = [200 * (1 + 0.4 * math.sin(slot / DAY * 2 * math.pi)) + chance.gauss(0, 14) for slot in range(WEEK + points)]
array = np.array(values)
for judge, data in ((of_minutes, values), (of_minutes_numpy, array), (of_week, array)):
    began = perf_counter()
    outside = sum(bool(judge(data, slot)) for slot in range(WEEK, WEEK + points))
    print(1e6 * (perf_counter() - began) / points, outside)
