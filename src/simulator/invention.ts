import { digits, integer, pick, type Random } from './random.ts';

// Everything here is made up: no name, number or code belongs to anyone.

const SURNAMES = '王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾'.split('');
// The last three take four bytes in UTF-8 and two units in JavaScript, as rare names do.
const GIVEN = [...'伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰建国文辉𬭎𠮷𣲗'];
const TRADES = ['餐饮', '酒店', '食品', '纺织', '洗涤', '物业'];
const LOCATIONS = ['厨房', '阳台', '走廊', '表箱', '地下室', '厨房 "北"', '楼道\\表箱'];

/** A made-up person's name of two or three characters. */
export function personName(random: Random): string {
  const given = Array.from({ length: integer(random, 1, 3) }, () => pick(random, GIVEN)).join('');
  return `${pick(random, SURNAMES)}${given}`;
}

/** A made-up company's name. */
export function companyName(random: Random): string {
  return `${personName(random)}${pick(random, TRADES)}有限公司`;
}

/** A made-up mobile number of 11 digits; 12 as its beginning was never given out, so it rings nowhere. */
export function mobileNumber(random: Random): string {
  return `12${digits(random, 9)}`;
}

/** A made-up telephone number; no local number begins with 0. */
export function telephoneNumber(random: Random): string {
  return `0512-0${digits(random, 7)}`;
}

/** A flat within a building. */
export function flat(random: Random): string {
  const floor = integer(random, 1, 33);
  return `${integer(random, 1, 5)}单元${floor}0${integer(random, 1, 5)}室`;
}

/** Where a meter hangs; some places carry quotes and backslashes, which are plain characters (P6). */
export function meterLocation(random: Random): string {
  return pick(random, LOCATIONS);
}
