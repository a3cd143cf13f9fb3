import { API_OPTIONS, refusePositionals } from './args.ts';
import { apiClient } from './api.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';

export const pauseCommand = control('pause', 'Paused. The source keeps what is needed to resume; `pgfollow resume` goes on.');
export const resumeCommand = control('resume', 'Resumed. `pgfollow status` shows how far it is.');

function control(name: 'pause' | 'resume', done: string): Command {
  return {
    usage: `${name} [OPTIONS]`,
    options: API_OPTIONS,
    async run(args, io) {
      refusePositionals(name, args);
      const { api } = apiClient(name, args, io);
      await api.put(`/api/v1/pipeline/${name}`);
      io.stderr.write(`${done}\n`);
      return EXIT.done;
    },
  };
}
