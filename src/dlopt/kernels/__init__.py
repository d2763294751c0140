"""Kernels of wide networks and the limits of training them, section 6.3.2 of the survey."""
