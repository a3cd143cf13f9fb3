import type { FastifyInstance } from 'fastify';
import { RANGES } from '../../observe/history.ts';
import type { Range } from '../../observe/history.ts';
import { maskSecrets } from '../../observe/log.ts';
import type { HttpContext } from '../context.ts';

/** The configuration in effect, and everything that is known in one file, to be passed on. */
export function diagnosticsRoutes(app: FastifyInstance, context: HttpContext): void {
  const { settings, model, now } = context;
  app.get('/api/v1/config', async () => ({ config: settings.config, origins: settings.origins }));

  app.get('/api/v1/diagnostics', async (_, reply) => {
    const at = new Date(now()).toISOString();
    const stamp = at.replaceAll(/[-:]|\.\d+/g, '');
    return reply
      .type('application/json; charset=utf-8')
      .header('content-disposition', `attachment; filename="pgfollow-${model.status().name}-${stamp}.json"`)
      .send(maskSecrets(JSON.stringify({ at, ...(await everything(context)) }, null, 1)));
  });
}

/** Who reads it knows no more than who may read the pages: it holds no rows, no keys beyond those in events, no secrets. */
async function everything({ model, events, metrics, settings }: HttpContext): Promise<Record<string, unknown>> {
  const status = model.status();
  return {
    versions: {
      pgfollow: status.version,
      node: process.version,
      system: `${process.platform} ${process.arch}`,
      source: status.source.serverVersion,
      target: status.target.serverVersion,
    },
    process: { uptimeSeconds: Math.round(process.uptime()), residentBytes: process.memoryUsage.rss() },
    status,
    tables: model.followed.all(),
    findings: model.findings.read(),
    validations: model.validations.read(),
    events: events.after(),
    history: Object.fromEntries(Object.keys(RANGES).map((range) => [range, model.history(range as Range)])),
    config: settings.config,
    origins: settings.origins,
    metrics: await metrics.text(),
  };
}
