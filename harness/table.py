"""`python -m harness.table <Task>`: the Markdown tables of a task's results; harness/result/tables.py makes them."""

from harness.result.tables import main

if __name__ == "__main__":
    main()
