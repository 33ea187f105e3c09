"""A policy pack for the engine (CrossGuard): hands what it is shown to pulih's own rules."""
