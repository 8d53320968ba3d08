"""What training costs, before anything is bought: memory by part, operations, steps and hours, without any weights."""
