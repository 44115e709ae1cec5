import { Controller, Get, Header, Inject, UseGuards } from '@nestjs/common';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { OpenToAll } from '../http/caller.js';

/** What this API is, as JSON: put together once, at start-up. */
export class OpenApiJson {
  text = '';
}

@Controller('openapi.json')
@UseGuards(AuthenticationGuard)
export class DocsController {
  constructor(@Inject(OpenApiJson) private readonly json: OpenApiJson) {}

  @Get()
  @OpenToAll()
  @Header('content-type', 'application/json; charset=utf-8')
  show(): string {
    return this.json.text;
  }
}
