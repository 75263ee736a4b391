"""DC modules on CAN: frames and controlling engines of InfyPower and Winline/Maxwell modules."""
