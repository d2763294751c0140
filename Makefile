# The commands of the book; each sets up .venv by itself.  CHAPTER=name restricts a command to one chapter, ONLY=name the
# benchmarks to one file.
PYTHON ?= python3
CHAPTER ?=
ONLY ?=
BOOK := .venv/bin/python -m bookkit

.PHONY: book test run test-robust mutants bench clean
.NOTPARALLEL:

book: .venv/ready
	@$(BOOK) book $(CHAPTER)

test: .venv/ready
	@$(BOOK) test $(CHAPTER)

run: .venv/ready
	@$(BOOK) run $(CHAPTER)

test-robust: .venv/ready
	@$(BOOK) robust $(CHAPTER)

mutants: .venv/ready
	@$(BOOK) mutants $(CHAPTER)

bench: .venv/ready
	@$(BOOK) bench $(ONLY)

clean:
	rm -rf _build

# A folder that was moved, or copied, sets up anew.
ifneq ($(shell cat .venv/ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/ready
endif

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) tools/setup_venv.py
