#!/usr/bin/env bash
# What check, plan and verify printed, and the changed lines of the reviewed surface, as Markdown: in
# the summary of the run and, with COMMENT=true, in one comment of the pull request that is updated.
set -euo pipefail
folder=$RUNNER_TEMP/plainsql-report
{
    echo "### Migrations and tenant isolation"
    for part in check plan verify; do
        file=$folder/$part.txt
        [ -s "$file" ] || continue
        printf '\n<details><summary><b>%s</b>: %s</summary>\n\n' "$part" "$(tail -n 1 "$file")"
        printf '```\n%s\n```\n</details>\n' "$(tail -c 15000 "$file" | tr -d '`')"
    done
    lock=$RUNNER_SQL_DIR/isolation.lock
    if [ -n "${BASE:-}" ] && lines=$(git diff -U0 "$BASE"... -- "$lock" | grep -E '^[+-][^+-]'); then
        printf '\n**Who may reach what** (`%s`): lines removed and added\n' "$lock"
        printf '```diff\n%s\n```\n' "$(head -n 100 <<<"$lines" | tr -d '`')"
    fi
} >"$folder/summary.md"
cat "$folder/summary.md" >>"$GITHUB_STEP_SUMMARY"
if [ "${COMMENT:-}" = true ] && [ -n "${PULL_REQUEST:-}" ]; then
    gh pr comment "$PULL_REQUEST" --edit-last --create-if-none --body-file "$folder/summary.md"
fi
