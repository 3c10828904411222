"""How good forecasts and stopping are on recorded runs, beside what they must beat."""
