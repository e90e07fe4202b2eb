module otellogdriver/bench

go 1.25
