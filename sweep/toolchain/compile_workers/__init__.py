"""A server with TVM loaded, which forks a killable worker for each compile job, and its client."""
