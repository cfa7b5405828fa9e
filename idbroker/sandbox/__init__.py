"""The sandbox: simulated eIDs, people, faults and a clock that moves. Development only."""
