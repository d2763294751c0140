"""Section 4 of the survey: tricks that open the black box of the network."""
