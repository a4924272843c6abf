"""Agreement, intervals, tests, calibration, human ceilings."""
