# R's kohonen over HTTP: maps trained in chunks, the hopeless ones stopped by the service.
#
#   oracle serve                                                   # in another terminal
#   apt-get install r-cran-kohonen r-cran-jsonlite curl            # or install.packages(...)
#   Rscript examples/kohonen.R [http://127.0.0.1:8000] [maps]
#
# `som` cannot be called in pieces: each chunk goes on from the codes of the last one, with the
# rate and radius that the whole plan has there. The weights are not those of one call, bit for bit,
# since its draws of samples begin anew; the plan is.

suppressPackageStartupMessages({
  library(kohonen)
  library(jsonlite)
})
arguments <- commandArgs(trailingOnly = TRUE)
url <- if (length(arguments) > 0) arguments[1] else "http://127.0.0.1:8000"
maps <- if (length(arguments) > 1) as.integer(arguments[2]) else 12

# A body to the service, its answer back; a service that does not answer stops nothing.
ask <- function(path, body) {
  file <- tempfile(fileext = ".json")
  on.exit(unlink(file))
  write(toJSON(body, auto_unbox = TRUE, digits = NA, null = "null"), file)
  answer <- suppressWarnings(system2("curl", c(
    "--silent", "--max-time", "10", "--header", shQuote("Content-Type: application/json"),
    "--data", paste0("@", file), paste0(url, path)
  ), stdout = TRUE))
  tryCatch(fromJSON(paste(answer, collapse = "\n")), error = function(e) list(action = "continue"))
}

# The three metrics of a map, as `oracle.measure` has them.
measure <- function(codes, X, neighbours) {
  squared <- outer(rowSums(X^2), rowSums(codes^2), "+") - 2 * X %*% t(codes)
  best <- max.col(-squared, ties.method = "first")
  squared[cbind(seq_len(nrow(X)), best)] <- Inf
  second <- max.col(-squared, ties.method = "first")
  list(
    mqe = mean(sqrt(rowSums((X - codes[best, , drop = FALSE])^2))),
    topographic_error = mean(!neighbours[cbind(best, second)]),
    dead_neuron_ratio = 1 - length(unique(best)) / nrow(codes)
  )
}

# What the service is told of a run before its first chunk.
context_of <- function(X, grid, rlen, alpha, radius, codes) {
  gaussian <- grid$neighbourhood.fct == "gaussian"
  list(
    map_rows = grid$ydim, map_cols = grid$xdim, toroidal = grid$toroidal,
    # Its hexagons have every other row shifted, the first one to the right.
    topology = if (grid$topo == "hexagonal") "even-r" else "rectangular",
    neighborhood = as.character(grid$neighbourhood.fct),
    n_samples = nrow(X), n_features = ncol(X), batch_size = 1, initialization = "sample",
    mqe_of_mean = mean(sqrt(rowSums(sweep(X, 2, colMeans(X))^2))),
    total_updates = rlen * nrow(X),
    # Its Gaussian's deviation is a third of the radius.
    schedule = list(progress = c(0, 1), learning_rate = alpha, radius = radius / (if (gaussian) 3 else 1))
  )
}

train <- function(X, grid, rlen, alpha, radius, run, population, chunks = 20) {
  codes <- X[sample(nrow(X), grid$xdim * grid$ydim, replace = TRUE), , drop = FALSE]
  context <- context_of(X, grid, rlen, alpha, radius, codes)
  near <- if (grid$topo == "hexagonal") 1.05 else 1.5
  neighbours <- unit.distances(grid, grid$toroidal) < near
  edges <- unique(round(seq(0, rlen, length.out = chunks + 1)))
  at <- function(values, done) values[1] + (values[2] - values[1]) * done / rlen
  for (k in seq_along(edges)[-1]) {
    begin <- edges[k - 1]
    end <- edges[k]
    fit <- som(X,
      grid = grid, rlen = end - begin, init = codes,
      alpha = c(at(alpha, begin), at(alpha, end)), radius = c(at(radius, begin), at(radius, end))
    )
    codes <- getCodes(fit)
    metrics <- measure(codes, X, neighbours)
    answer <- ask(paste0("/v1/runs/", run, "/checkpoints"), c(
      list(population = population, total_epochs = rlen, context = context, epochs = I(end)),
      lapply(metrics, I)
    ))
    if (identical(answer$action, "stop")) break
  }
  stopped <- identical(answer$action, "stop")
  if (!stopped) ask(paste0("/v1/runs/", run, "/finish"), list(final_mqe = metrics$mqe))
  list(codes = codes, metrics = metrics, stopped = stopped, epochs = end, message = answer$message)
}

set.seed(1)
X <- scale(as.matrix(iris[, 1:4]))
name <- paste0("iris-", as.integer(Sys.time()))
planned <- 0
done <- 0
for (i in seq_len(maps)) {
  side <- sample(4:9, 1)
  grid <- somgrid(side, side, sample(c("hexagonal", "rectangular"), 1), "gaussian")
  rlen <- 60
  run <- train(X, grid, rlen,
    alpha = c(10^runif(1, -3, -0.5), 0.01), radius = c(runif(1, 1, side), 0.5),
    run = paste0(name, "-", i), population = name
  )
  planned <- planned + rlen
  done <- done + run$epochs
  cat(sprintf(
    "%dx%d %-11s mqe %.3f  %s\n", side, side, grid$topo, run$metrics$mqe,
    if (run$stopped) sprintf("stopped at %.0f %%", 100 * run$epochs / rlen) else "finished"
  ))
}
cat(sprintf("%.0f %% of the epochs saved\n", 100 * (1 - done / planned)))
