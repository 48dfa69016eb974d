"""The end of the demo on the terminal: a row per month, the chart, where to look next."""

import sys

import click

from mlkit.cli import output
