"""The box-regression experiment of the DIoU paper, on any box loss.

Zheng et al., 2020, arXiv:1911.08287, section "Simulation Experiment": boxes of many places, sizes
and shapes are moved to a target by gradient descent on the loss alone, without any network.
"""
