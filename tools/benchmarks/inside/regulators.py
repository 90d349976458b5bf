"""The figures of each regulator in the simulated house of the tests.

    regulators.py TESTS DAYS

TESTS is the folder of house.py.
"""

import json
import sys

sys.path.append(sys.argv[1])

import house

print(json.dumps(dict(house.compare(int(sys.argv[2])))))
