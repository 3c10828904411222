"""Libraries that `train_map` trains, one file each: their grid, kernel, plan, and seam."""
