"""The tools, a module for each: ``trial(place)`` measures every case once and says what the tool would."""
