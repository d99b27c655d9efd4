"""What a run would cost on a GPU, told from shapes alone: no weights, no GPU, no download.

`harness.forecast.forecast.forecast(experiment)` is all that other modules need.
"""
