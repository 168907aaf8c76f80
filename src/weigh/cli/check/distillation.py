"""`weigh check distillation`: what a student lost against its teacher, overall, by slice and item by item."""

import click

from weigh.cli.check.group import as_json, check, report


@check.command("distillation")
@click.argument("table")
@click.option("--label", required=True, metavar="COLUMN", help="The column of right answers.")
@click.option("--teacher", required=True, metavar="COLUMN", help="The column of the teacher's answers.")
@click.option("--student", required=True, metavar="COLUMN", help="The column of the student's answers.")
@click.option("--slice", "slices", multiple=True, required=True, metavar="COLUMN", help="A column whose values are "
              "slices; repeat it for more. The label is one that every table has.")  # fmt: skip
@click.option("--teacher-confidence", metavar="COLUMN", help="The column of the probability that the teacher gives "
              "its answer.")  # fmt: skip
@click.option("--student-confidence", metavar="COLUMN", help="The same of the student.")
@click.option("--group", metavar="COLUMN", help="The column that says which rows belong together, such as to one "
              "person.")  # fmt: skip
@click.option("--allowed", type=float, default=0.02, show_default=True, help="The accuracy that the student may lose.")
@click.option("--allowed-in-slice", type=float, default=0.05, show_default=True, help="The accuracy that it may lose "
              "in a slice.")  # fmt: skip
@click.option("--allowed-churn", type=float, default=0.05, show_default=True, help="The share of rows that the teacher "
              "has right and the student may have wrong.")  # fmt: skip
@as_json
def distillation_command(
    table: str, label: str, teacher: str, student: str, slices: tuple[str, ...], teacher_confidence: str | None,
    student_confidence: str | None, group: str | None, allowed: float, allowed_in_slice: float, allowed_churn: float,
    as_json: bool,
) -> int:  # fmt: skip
    """Find what a student lost: compare its answers in TABLE with its teacher's, overall and in each slice.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files, with a row for each example that neither
    model was trained on. Of many slices one always looks bad: a slice is found guilty only if it would be
    among so many.
    Exits with 1 if the student lost too much overall or in a slice, has too many answers wrong that its teacher has
    right, or is surer than right.

    Example: weigh check distillation rows.csv --label y --teacher big --student small --slice y --slice site
    """
    from weigh.checks.distillation.check import check_distillation

    found = check_distillation(
        table, label, teacher, student, slices, teacher_confidence=teacher_confidence,
        student_confidence=student_confidence, group=group, allowed=allowed, allowed_in_slice=allowed_in_slice,
        allowed_churn=allowed_churn,
    )  # fmt: skip
    return report(found, as_json)
