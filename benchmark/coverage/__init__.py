"""Do the intervals and tests of the reports keep what they promise? A simulation.

Paired experiments are drawn whose true difference is known; each method is applied to them, and
what counts is how often its interval holds the truth, or its test claims a difference where there
is none.
"""
