"""Bugs of the applier: tests that run the real shell script find each."""

from __future__ import annotations

from tests.mutants.planting import Mutant

_CONTRACT = "tests/ssh/test_applier_contract.py"
_APPLIER = "tests/ssh/test_applier.py"

MUTANTS = (
    Mutant(
        name="a bundle is swapped in before it is validated",
        file="recovery/applier.sh",
        old="""say at validate
script validate validate-failed || fail validate $cause

say at swap
""",
        new="say at swap\n",
        tests=(f"{_CONTRACT}::test_what_is_not_valid_never_runs",),
    ),
    Mutant(
        name="a copy that somebody made of a release takes the release with it",
        file="recovery/applier.sh",
        old='*) set -- "$@" "$name" ;; esac',
        new='*) set -- "$@" $name ;; esac',
        tests=(f"{_APPLIER}::test_a_copy_that_somebody_made_of_a_release_does_not_take_the_release_with_it",),
    ),
    Mutant(
        name="files whose names hold a line break are not seen",
        file="recovery/applier.sh",
        old="'' | . | .[!/]* | [!.]* | *[!A-Za-z0-9._/-]*) odd=$((odd + 1)); continue ;; esac",
        new="*[!A-Za-z0-9._/-]*) odd=$((odd + 1)); continue ;; esac",
        tests=("tests/ssh/test_faults_reading.py::test_a_file_whose_name_can_not_be_written_is_a_difference",),
    ),
    Mutant(
        name="the receipt is written before the swap",
        file="recovery/applier.sh",
        old='[ -z "$receipt" ] || true >"$root/receipt.json" || stuck\n',
        new="finish\n",
        tests=(f"{_CONTRACT}::test_struck_anywhere_it_is_old_or_new_and_the_next_visit_finishes",),
    ),
    Mutant(
        name="whoever was overtaken is let in",
        file="recovery/applier.sh",
        old='    refuse stale-epoch "$known" "$known_holder"\n',
        new="    :\n",
        tests=(f"{_CONTRACT}::test_whoever_was_overtaken_is_refused",),
    ),
    Mutant(
        name="the same epoch of another holder is let in",
        file="recovery/applier.sh",
        old='{ [ "$epoch" -eq "$known" ] && [ "$holder" != "$known_holder" ]; }',
        new="false",
        tests=(f"{_CONTRACT}::test_whoever_was_overtaken_is_refused",),
    ),
    Mutant(
        name="the epoch is looked at before the lock is held",
        file="recovery/applier.sh",
        old="refuse timeout another applier is still at work on this unit\nremember\n",
        new="refuse timeout another applier is still at work on this unit\n",
        tests=("tests/ssh/test_faults_time.py::test_an_overtaken_writer_that_waited_for_the_lock_is_refused_under_it",),
    ),
    Mutant(
        name="the lock is given back before the reload",
        file="recovery/applier.sh",
        old='say at reload\ncd -P "$root/current" || undo reload internal\n',
        new='say at reload\nexec 9>&-\ncd -P "$root/current" || undo reload internal\n',
        tests=("tests/ssh/test_faults_time.py::test_the_lock_is_held_from_the_first_write_to_the_last_line",),
    ),
    Mutant(
        name="what does not serve is not taken back",
        file="recovery/applier.sh",
        old="probe || undo probe probe-failed\nfinish\n",
        new="probe || fail probe probe-failed\nfinish\n",
        tests=(f"{_CONTRACT}::test_what_does_not_serve_is_taken_back",),
    ),
    Mutant(
        name="a unit as declared is adopted without a probe",
        file="recovery/applier.sh",
        old="        probe && serving\n",
        new="        serving\n",
        tests=(f"{_APPLIER}::test_a_unit_as_declared_that_does_not_serve_is_reloaded",),
    ),
    Mutant(
        name="a unit found swapped without its receipt is trusted",
        file="recovery/applier.sh",
        old="""    case $receipt in *"\\"digest\\":\\"$digest\\""*) ;; *) receipt= ;; esac
    if [ -n "$receipt" ]; then
""",
        new="    if true; then\n",
        tests=(f"{_APPLIER}::test_a_unit_found_swapped_without_its_receipt_is_reloaded_not_trusted",),
    ),
    Mutant(
        name="a release is not synced before it is swapped in",
        file="recovery/applier.sh",
        old='note=$(sync "$root/epoch" $paths 2>&1 9>&-) || full "$note"\n',
        new="",
        tests=(f"{_APPLIER}::test_a_bundle_is_on_the_platter_before_anything_points_to_it",),
    ),
    Mutant(
        name="a damaged release is taken for the declared one",
        file="recovery/applier.sh",
        old='small "$root/current/MANIFEST" && intact; then',
        new='small "$root/current/MANIFEST"; then',
        tests=(f"{_APPLIER}::test_a_damaged_release_is_replaced_by_a_fresh_copy_beside_it",),
    ),
    Mutant(
        name="a visit that changes nothing leaves the epoch as it was",
        file="recovery/applier.sh",
        old='if [ "$epoch $holder" != "$known $known_holder" ]; then\n',
        new='if [ "$epoch $holder" != "$known $known_holder" ] && [ -z "$receipt" ]; then\n',
        tests=(f"{_APPLIER}::test_an_epoch_is_kept_even_by_a_visit_that_changes_nothing",),
    ),
)
