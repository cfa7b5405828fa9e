"""What a clinic does for its patients: finds, enters, sends access, answers, helps, listens. No web, no store."""
