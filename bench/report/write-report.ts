/** The report beside a file of results. */
import { readResults } from './results-file.ts';

/** What was written. */
export async function writeReport(results_file: string): Promise<string[]> {
  return [`${readResults(results_file).length} results in ${results_file}`];
}
