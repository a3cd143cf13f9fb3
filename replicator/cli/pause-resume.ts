import { API_OPTIONS, JSON_OPTION, refusePositionals } from './args.ts';
import { apiClient } from './api.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';

export const pauseCommand = control('pause', {
  done: 'Paused. The source keeps what is needed to resume; `pgfollow resume` goes on.',
  notes: 'The batch under way is finished first. While paused the source keeps its WAL: see the slot in `pgfollow status`.',
});
export const resumeCommand = control('resume', {
  done: 'Resumed. `pgfollow status` shows how far it is.',
  notes: 'Changes that came meanwhile are applied first.',
});

function control(name: 'pause' | 'resume', { done, notes }: { done: string; notes: string }): Command {
  return {
    usage: `${name} [--json] [OPTIONS]`,
    options: { ...JSON_OPTION, ...API_OPTIONS },
    notes,
    examples: [[`pgfollow ${name} --url http://db-tools:5884`, 'a pgfollow that runs elsewhere']],
    async run(args, io) {
      refusePositionals(name, args);
      const { api } = await apiClient(name, args, io);
      const answer = await api.put(`/api/v1/pipeline/${name}`);
      if (args.values['json']) io.stdout.write(`${JSON.stringify(answer)}\n`);
      else io.stderr.write(`${done}\n`);
      return EXIT.done;
    },
  };
}
