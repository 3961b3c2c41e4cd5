"""What is measured, never asserted: the harness's own cost, and the speed of the losses."""
