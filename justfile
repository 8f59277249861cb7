# Short names for the development tasks; `cargo xtask --help` describes each.

_default:
    @just --list

# Start the server
run *args:
    cargo run --release -- {{args}}

# All that CI runs
ci:
    cargo xtask ci

# The tests, on both databases
test *args:
    cargo xtask test {{args}}

# Licences, bans and sources of what we depend on
deny:
    cargo xtask deny

# Check the rules of the code that the compiler does not know
tidy:
    cargo xtask tidy

# Write docs/openapi.json (--check: only compare)
openapi *args:
    cargo xtask openapi {{args}}

# Linters, client generators and schemathesis on the OpenAPI document and running servers
conformance:
    cargo xtask conformance

# Measure a release build (--quick: only check that it runs; --report: write the page of results)
bench *args:
    cargo xtask bench {{args}}

# A throw-away PostgreSQL, until Ctrl-C
postgres:
    cargo xtask postgres
