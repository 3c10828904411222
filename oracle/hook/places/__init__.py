"""Where a population is kept between machines: a database, and what a network file system is."""
