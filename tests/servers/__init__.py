"""Real servers for the tests, the demo and the benchmarks: started on free loopback ports, stopped by pid."""
