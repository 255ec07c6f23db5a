import { describe, expect, it } from 'vitest';
import { findNeedles } from '../support/needles.ts';

describe('the look for needles', () => {
  const needle = (text: string) => [{ what: 'it', text }];

  it.each([
    ['欧阳测漏', '<b>&#x6b27;&#x9633;测漏</b>'],
    ['欧阳测漏', '&#27431;阳测漏'],
    ['欧阳测漏', String.raw`"\u6B27\u9633测漏"`],
    ['欧阳测漏', encodeURIComponent('?欧阳测漏')],
    ['欧阳测漏', Buffer.from('欧阳测漏').toString('latin1')],
    ['欧阳测漏', `\\x${Buffer.from('欧阳测漏').toString('hex')}`],
    ['13912345678', '139-1234 5678'],
    ['13912345678', '+86 (139) 1234.5678'],
    ['13912345678', '１３９１２３４５６７８'],
    ['aB3', 'token=Ab3&'],
  ])('finds %s in %s', (text, place) => {
    expect(findNeedles(new Map([['there', place]]), needle(text))).toEqual(['there: it']);
  });

  it('finds nothing where there is nothing', () => {
    const place = new Map([['there', '欧阳测 1391234567 139***5678']]);
    expect(findNeedles(place, [...needle('欧阳测漏'), ...needle('13912345678')])).toEqual([]);
  });
});
